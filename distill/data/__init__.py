"""One LightningDataModule, packing, collation, one file a modality; a batch is a pure function of (seed, index)."""
