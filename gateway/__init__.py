"""The composition root: config, storage, schedule, web and command line. Nobody imports it."""
