"""What runs on a node: taking one trial honestly on one quiet machine, without Ray, cloud or terminal."""
