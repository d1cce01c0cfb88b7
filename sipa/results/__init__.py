"""The results of a sweep: what a row is in Arrow, where everything lies, and how a row becomes permanent."""
