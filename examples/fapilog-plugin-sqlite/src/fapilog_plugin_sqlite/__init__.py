"""fapilog plugins: the sink ``sqlite`` and the enricher ``deployment``."""
