"""The shipped networks for one's own scans: `skull_stripping` and `tumor_segmentation`. Not for clinical use."""
