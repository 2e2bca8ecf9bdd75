{{ domain_prediction_drift() }}
