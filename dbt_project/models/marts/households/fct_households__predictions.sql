{{ domain_predictions([ref('trn_household_spend')]) }}
