"""Cards of the packaged models: measured, and written as pages."""
