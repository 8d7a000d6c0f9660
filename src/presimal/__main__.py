"""`python -m presimal` is `presimal`."""

from presimal.cli import main

raise SystemExit(main())
