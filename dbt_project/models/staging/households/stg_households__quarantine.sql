{{ domain_quarantine([
    ref('base_completejourney__transactions'),
    ref('base_completejourney__demographics'),
    ref('base_completejourney__products'),
]) }}
