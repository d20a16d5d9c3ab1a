"""The next model beside this one: some requests go to it, and others as a shadow; whatever it does, none is lost."""
