{{ domain_performance() }}
