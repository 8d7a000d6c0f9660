"""The book: the stored notebooks, the README and the glossary as pages that read themselves."""
