"""From a plan to COMMITTED: staging, publishing, recording, and what recovers, sweeps and schedules it."""
