"""How long a whole run takes, beside its detector alone and beside other trackers."""
