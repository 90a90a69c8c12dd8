"""Small trainings, each written as a user would: `python -m tests.trainings.NAME LOG_DIR`."""
