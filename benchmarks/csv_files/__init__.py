"""Random CSV files, valid and damaged: is each row that is read one that was written?"""
