"""A run's configuration: its schema in code, and one strict way from YAML to it and back."""
