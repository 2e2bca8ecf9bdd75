{{ domain_feature_reference() }}
