"""`python -m llm_serving_planner`."""

from llm_serving_planner.cli.main import main

raise SystemExit(main())
