"""Fine-tuning: trials, seeds and adapters."""
