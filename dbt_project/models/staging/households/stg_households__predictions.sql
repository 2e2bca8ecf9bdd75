{{ domain_lake_predictions() }}
