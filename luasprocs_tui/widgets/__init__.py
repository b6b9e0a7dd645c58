"""The widgets. They get data and post messages; none knows another."""
