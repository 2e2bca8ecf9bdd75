{{ domain_model_versions() }}
