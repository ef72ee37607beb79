"""A campaign on POPGym's environments."""
