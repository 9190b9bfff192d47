"""The one LightningModule, exact resume, callbacks."""
