"""The controller: gets nodes and keeps them busy. Nothing here knows how a trial is measured or what a number means."""
