"""Lists of tags as people keep them: tables in CSV or XLSX, into the config and out of it."""
