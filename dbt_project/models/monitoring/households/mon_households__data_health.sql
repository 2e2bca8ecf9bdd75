{{ domain_data_health() }}
