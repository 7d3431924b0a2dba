"""From approved to delivered, resumable at every step: prepare, treat, judge, pack, deliver."""
