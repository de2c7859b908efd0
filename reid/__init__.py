"""The embedding network: training, judging, export."""
