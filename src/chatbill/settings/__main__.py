"""`python -m chatbill.settings` prints docs/settings.md, and with `--example` prints .env.example."""

import sys

from chatbill.settings.documentation import example, page

sys.stdout.write(example() if "--example" in sys.argv[1:] else page())
