import sys

from eval.dialogues import main

sys.exit(main())
