"""The screens. Each routes between its widgets; what leaves it is a typed message for the app."""
