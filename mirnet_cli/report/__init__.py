"""Pages and pictures to look at: before and after."""
