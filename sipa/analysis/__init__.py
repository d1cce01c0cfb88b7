"""What the rows say: means with intervals, figures, a report. Reads rows; never changes a results folder's data."""
