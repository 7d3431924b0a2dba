"""What is demanded: rule files a lawyer can read, and the pure code that loads, joins and decides them."""
