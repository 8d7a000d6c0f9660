"""Gliomas: how they grow, what signals they give, how they vary, what becomes of the patient."""
