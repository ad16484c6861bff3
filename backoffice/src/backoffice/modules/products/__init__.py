"""The product list of a business and its imports."""
