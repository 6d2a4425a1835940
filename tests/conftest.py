"""Settings of the suite."""

from hypothesis import HealthCheck, settings

settings.register_profile("bptt", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("bptt")
