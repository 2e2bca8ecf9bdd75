{{ domain_predictions([ref('trn_late_arrival')]) }}
