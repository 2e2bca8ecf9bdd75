{{ domain_feature_drift() }}
