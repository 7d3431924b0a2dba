"""The gateway to try: synthetic studies, and a play in which all personas use the real API on one of them.

The data (`trial`, `large`, `canary` and what they are made of) are invented and know nothing of the rest of the
gateway. The play (`play`, its `stage`, its scenes) stands above the doors: it starts the app and calls it over HTTP.
"""
