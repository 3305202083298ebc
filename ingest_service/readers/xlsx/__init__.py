"""Reading rows from a sheet of an Excel workbook, as its XML streams by."""
