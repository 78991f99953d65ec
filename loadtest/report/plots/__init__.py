"""The plots. Each function draws on the axes that it gets."""
