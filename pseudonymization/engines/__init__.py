"""Where fragments are counted and treated: `local` on one machine; others may follow."""
