{{ domain_lake_reference_predictions() }}
