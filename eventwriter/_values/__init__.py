"""What users hand over, as numbers: arrays of any framework, values on a device, arguments."""
