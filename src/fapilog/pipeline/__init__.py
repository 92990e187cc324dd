"""The pipeline: intake, stages, fan-out, delivery and drain."""
