"""What holds for all tests."""

import hypothesis

# A busy machine stops a process for seconds: how long an example takes says nothing about the code.
hypothesis.settings.register_profile("patient", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("patient")
