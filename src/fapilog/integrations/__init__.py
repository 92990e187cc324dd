"""What connects fapilog to other libraries, one module each; what a module needs is imported with it."""
