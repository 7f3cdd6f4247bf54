"""From a requisition to an award: ask every supplier, choose by landed cost."""
