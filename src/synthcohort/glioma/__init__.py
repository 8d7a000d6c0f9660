"""Gliomas: how they grow and look, and what becomes of the patient."""
