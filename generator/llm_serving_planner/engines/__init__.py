"""What each version of each engine offers: memory rules, kernels, flags, features. No plan is made here."""
